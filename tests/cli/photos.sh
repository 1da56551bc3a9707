# photos.sh - sourced by cases for the test double: makes the labelled set "photos" in the current folder.
mkdir -p photos/cat photos/dog
for i in 1 2 3 4 5 6 7 8 9; do
    echo "PIC cat 0.9" >photos/cat/$i.jpg
    echo "PIC dog 0.75" >photos/dog/$i.jpg
done
echo "PIC cat 0.75" >photos/dog/5.jpg
